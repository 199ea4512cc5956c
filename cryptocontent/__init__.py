"""cryptocontent: the platform on which a crypto newsroom produces its articles."""
