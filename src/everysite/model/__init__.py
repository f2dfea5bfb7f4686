"""Values: what the other rooms talk about. Nothing here acts, waits or remembers."""
