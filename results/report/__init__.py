"""The report: records, curves and pictures as one HTML file that needs nothing else."""
