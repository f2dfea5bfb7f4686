"""Pure choices: values and the time in, values out. Nothing here reads, writes, waits or remembers."""
