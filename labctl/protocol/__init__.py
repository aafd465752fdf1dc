"""What an author asks for: models, and the loader that knows the line of every mistake."""
