"""Speed of everysite next to its peers, measured in the same run: `./run bench`, docs/benchmarks.md."""
