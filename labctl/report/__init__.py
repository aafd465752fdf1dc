"""Results for people: a self-contained page and its figures."""
