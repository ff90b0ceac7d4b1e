"""One file, one bench: a lab.Bench named BENCH."""
