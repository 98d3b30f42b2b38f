"""The parts of bench/compare: the data, the contenders, the measuring, the report."""
