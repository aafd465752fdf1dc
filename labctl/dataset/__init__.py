"""What came out of an acquisition: a frozen description (`model`) and its manifest on disk (`store`)."""
