"""Page Datasets: rows brought in, made, examined, mended, split and written out."""
