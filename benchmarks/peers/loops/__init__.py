"""One plain training loop, and what each peer changes in it; ``lines.py`` counts the changes."""
