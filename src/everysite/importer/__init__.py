"""What older trackers kept becomes what this one keeps."""
