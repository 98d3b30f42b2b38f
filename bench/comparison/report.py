"""The figures as Markdown, and where they go."""

import datetime
import os
import platform
import re
import statistics
from pathlib import Path

from .measure import Failure


def median(runs, what):
    return statistics.median(getattr(run, what) for run in runs)


def seconds(value):
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def megabytes(value):
    if value < 100e3:
        return f"{value / 1e3:.1f} kB"
    return f"{value / 1e6:,.1f} MB" if value < 100e6 else f"{value / 1e6:,.0f} MB"


def ratios(results):
    """Of every peer to consign: the ratio of the medians, and the median of the ratios of each round."""
    own = results["consign"].runs
    for name, result in results.items():
        paired = [run.wall / other.wall for run, other in zip(result.runs, own)]
        yield name, median(result.runs, "wall") / median(own, "wall"), statistics.median(paired)


def table(measured):
    """One task on one kind of data. Times as many as consign's: by medians, and by rounds."""
    lines = [
        "| | wall | user | system | peak memory | archive | all outputs | times consign's wall | the same, by rounds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, by_medians, by_rounds in ratios(measured.results):
        result = measured.results[name]
        peak, least = median(result.runs, "peak"), median(result.runs, "least")
        peak = megabytes(peak) if peak > 1.05 * least else f"< {megabytes(1.05 * least)}"
        archive = megabytes(result.archive) if result.archive else ""
        size = megabytes(result.output) if result.output else ""
        lines.append(
            f"| {name} | {seconds(median(result.runs, 'wall'))} | {seconds(median(result.runs, 'user'))} "
            f"| {seconds(median(result.runs, 'system'))} | {peak} | {archive} | {size} | {by_medians:.2f} | {by_rounds:.2f} |"
        )
    if measured.floor:
        own = median(measured.results["consign"].runs, "wall")
        lines.append(f"| *floor* | {seconds(measured.floor)} | | | | | | {measured.floor / own:.2f} | |")
    return lines


def at_a_glance(all_measured):
    lines = [
        "| data | task | consign | fastest peer | its wall, times consign's | consign's archive, times its | all outputs | consign's wall, times the floor |",
        "|---|---|--:|---|--:|--:|--:|--:|",
    ]
    for measured in all_measured:
        own = measured.results["consign"]
        peers = [(ratio, name) for name, ratio, _ in ratios(measured.results) if name != "consign" and
                 not measured.results[name].partial]
        ratio, name = min(peers, default=(None, ""))
        archive, outputs = "", ""
        if name and own.output:
            outputs = f"{own.output / measured.results[name].output:.3f}"
            archive = f"{own.archive / measured.results[name].archive:.3f}" if measured.results[name].archive else ""
        wall = median(own.runs, "wall")
        lines.append(
            f"| {measured.data.title}{measured.where} | {measured.task} | {seconds(wall)} | {name} "
            f"| {f'{ratio:.2f}' if ratio else ''} | {archive} | {outputs} "
            f"| {f'{wall / measured.floor:.2f}' if measured.floor else ''} |"
        )
    return lines


def machine(cores, tools, absent):
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    today = datetime.datetime.now(datetime.timezone.utc).date()
    yield f"{today}: {cpu.group(1) if cpu else platform.machine()}, {cores} cores, {memory:.0f} GiB of memory, " \
          f"Linux {platform.release().split('-')[0]}."
    yield ""
    yield "| | version | what it does, and does not |"
    yield "|---|---|---|"
    for tool in tools:
        yield f"| {tool.name} | {tool.version()} | {tool.remark} |"
    if absent:
        yield ""
        yield f"Not installed, and so not measured: {', '.join(absent)}."


def document(all_measured, rounds, cores, tools, absent, scale):
    lines = list(machine(cores, tools, absent))
    lines += ["", f"Medians of {rounds} round{'s' if rounds > 1 else ''}." + (
        f" The data is {scale:g} times the size that its title says: these are figures of a trial." if scale != 1 else "")]
    lines += ["", "### At a glance", "", *at_a_glance(all_measured)]
    title = None
    for measured in all_measured:
        if title != (title := measured.data.title):
            speed = measured.speeds
            lines += ["", f"### {title}"]
            if speed:
                lines += ["", f"One core: SHA-256 {speed['sha256'] / 1e9:.2f} GB/s; zstd as consign "
                              f"uses it {speed['compress'] / 1e6:.0f} MB/s, decoding {speed['decompress'] / 1e6:.0f} MB/s."]
        lines += ["", f"**{measured.task}**{measured.where}", "", *table(measured)]
    return "\n".join(lines) + "\n"


def markers(section):
    return f"<!-- bench/compare: begin {section} -->", f"<!-- bench/compare: end {section} -->"


def check_place(path, section):
    """Before hours go by: is there a place for the result?"""
    begin, end = markers(section)
    if path.exists() and not re.search(f"{re.escape(begin)}\n.*?{re.escape(end)}", path.read_text(), re.DOTALL):
        raise Failure(f"{path} has no lines `{begin}` and `{end}`, between which the result would go")


def write(path, section, text):
    """Puts the result between the markers, and leaves everything else as it is."""
    begin, end = markers(section)
    old = path.read_text() if path.exists() else f"{begin}\n{end}\n"
    before, rest = old.split(begin, 1)
    _, after = rest.split(end, 1)
    path.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
