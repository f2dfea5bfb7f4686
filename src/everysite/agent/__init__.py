"""A site, running: it scans, claims work, moves bytes, serves other sites, and says how it stands."""
