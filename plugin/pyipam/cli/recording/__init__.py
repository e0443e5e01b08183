"""Which network and which container had which address: noted while it happens, and found again."""
