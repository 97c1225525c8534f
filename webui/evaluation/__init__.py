"""Internal evaluation: files of prompts, scores with their intervals, blind comparisons."""
