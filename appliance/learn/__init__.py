"""Learning, offline (extra [learn]): recipes, data, choice, distilling, calibration, report. The daemon never imports it."""
