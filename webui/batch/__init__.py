"""What the batch did: requests, lanes, and the board that gathers them. Knows nothing of vLLM, Gradio or FastAPI."""
