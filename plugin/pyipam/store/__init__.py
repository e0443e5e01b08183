"""Where pools and leases are kept: verbs and records, and one module for each database."""
