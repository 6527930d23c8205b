"""Tables in files: what their columns are, numbers made of them, and nets that remember both."""
