"""The AdaSelection paper's experiments: what is run, what it gave, and what the paper printed."""
