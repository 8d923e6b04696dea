"""The thresholds of the gate and of the monitor for one data set: their file, and how they are measured."""
