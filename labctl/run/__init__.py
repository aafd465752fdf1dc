"""The engine: a pure core that decides, a journal that remembers, a loop that acts."""
