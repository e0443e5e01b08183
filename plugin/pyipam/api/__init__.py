"""What Docker and people talk to: HTTP over the sockets of the plugin."""
