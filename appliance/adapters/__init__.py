"""Everything that touches the network or the disk. Foreign errors become ours at this border; rooms don't import each other."""
