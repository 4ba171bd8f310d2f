"""The papers, one file each: read the file beside the paper."""
