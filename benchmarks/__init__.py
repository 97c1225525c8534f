"""What the README's figures come from. Each prints ratios that were measured side by side in one run."""
