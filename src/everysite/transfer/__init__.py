"""How bytes travel: copies on one machine, bundles of small files, streams between agents."""
