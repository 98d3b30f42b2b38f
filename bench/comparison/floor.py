"""The least time that the hardware allows: what must be hashed and compressed, at the speed of one core, over all cores."""

import json
import statistics

from .measure import output


class Floor:
    """Speeds of one core, sampled every round, because they change with what else the machine does."""

    def __init__(self, program, sample):
        self.program, self.sample = str(program), str(sample)
        self.measured = []

    def measure(self):
        self.measured.append(json.loads(output(self.program, self.sample, "speeds")))

    def speeds(self):
        """Medians: bytes of content a second."""
        return {name: statistics.median(one[name] for one in self.measured) for name in self.measured[0]}

    def seconds(self, task, cores, content, largest, archive):
        """None where there is no such thing."""
        speed = self.speeds()
        hashing = (content + archive) / speed["sha256"]
        match task:
            case "pack":
                return max((hashing + content / speed["compress"]) / cores,
                           largest / speed["sha256"], archive / speed["sha256"])
            case "verify" | "unpack":
                # A reader knows states in between, so no stream has to be hashed from end to end on one core but that
                # of a single file.
                return max((hashing + content / speed["decompress"]) / cores, largest / speed["sha256"])
            case "quick":
                return archive / speed["sha256"] / cores
        return None
