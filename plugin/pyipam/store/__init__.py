"""Where pools and leases are kept: records, the interface of a store, and its implementations."""
