"""The tables that people read, in Markdown."""

from __future__ import annotations

from benchmarks.summary import Row
from benchmarks.targets import Target

Column = tuple[str, str, str]
"""Title; figure or count; format."""

STREAMS: list[Column] = [
    ("CPU us/chunk", "cpu_us", "{:.1f}"),
    ("of nginx's", "cpu_us_to_nginx", "{:.2f}"),
    ("relay alone", "first_cpu_us_to_nginx", "{:.2f}"),
    ("TTFT p50 ms", "ttft_p50_ms", "{:.2f}"),
    ("added p50", "added_ttft_p50_ms", "{:+.2f}"),
    ("added p99", "added_ttft_p99_ms", "{:+.2f}"),
    ("delay: added p50", "added_delay_p50_ms", "{:+.2f}"),
    ("added p99", "added_delay_p99_ms", "{:+.2f}"),
    ("gap off by: p50", "gap_p50_ms", "{:.2f}"),
    ("added p50", "added_gap_p50_ms", "{:+.2f}"),
    ("added p99", "added_gap_p99_ms", "{:+.2f}"),
    ("merged reads", "merged_reads", "{}"),
    ("of", "reads", "{}"),
    ("broken", "broken", "{}"),
    ("not observed", "not_observed", "{}"),
]
REQUESTS: list[Column] = [
    ("CPU us/request", "cpu_us", "{:.0f}"),
    ("of nginx's", "cpu_us_to_nginx", "{:.2f}"),
    ("requests/s", "requests_per_second", "{:.0f}"),
    ("p50 ms", "latency_p50_ms", "{:.2f}"),
    ("p99 ms", "latency_p99_ms", "{:.2f}"),
    ("added p50", "added_latency_p50_ms", "{:+.2f}"),
    ("added p99", "added_latency_p99_ms", "{:+.2f}"),
    ("requests", "requests", "{}"),
    ("broken", "broken", "{}"),
    ("not observed", "not_observed", "{}"),
]
MEMORY: list[Column] = [
    ("idle RSS MB", "tree_idle_rss_mb", "{:.1f}"),
    ("idle PSS MB", "tree_idle_pss_mb", "{:.1f}"),
    ("busy RSS MB", "tree_busy_rss_mb", "{:.1f}"),
    ("busy PSS MB", "tree_busy_pss_mb", "{:.1f}"),
    ("first process: idle RSS", "first_idle_rss_mb", "{:.1f}"),
    ("busy RSS", "first_busy_rss_mb", "{:.1f}"),
    ("broken", "broken", "{}"),
]
OBSERVER: list[Column] = [
    ("chunks", "events", "{}"),
    ("chunks/s of one core", "events_per_second", "{:.0f}"),
]
ADMISSION: list[Column] = [
    ("created: p50 ms", "latency_p50_ms", "{:.1f}"),
    ("p99 ms", "latency_p99_ms", "{:.1f}"),
    ("added p50", "added_latency_p50_ms", "{:+.1f}"),
    ("added p99", "added_latency_p99_ms", "{:+.1f}"),
    ("webhook's own: p50 ms", "review_p50_ms", "{:.1f}"),
    ("p99 ms", "review_p99_ms", "{:.1f}"),
    ("mean ms", "review_mean_ms", "{:.1f}"),
    ("API server's for it: mean ms", "server_mean_ms", "{:.1f}"),
    ("p99 above", "server_p99_above_ms", "{:.0f}"),
    ("and below", "server_p99_below_ms", "{:.0f}"),
    ("CPU ms/pod", "review_cpu_ms", "{:.1f}"),
    ("RSS MB", "rss_mb", "{:.0f}"),
    ("pods", "requests", "{}"),
    ("not injected", "broken", "{}"),
]
OPERATOR: list[Column] = [
    ("first complete status s", "complete_s", "{:.1f}"),
    ("a change is in every status after s, at most", "behind_s", "{:.1f}"),
    ("cores", "cores", "{:.2f}"),
    ("when nothing changes", "quiet_cores", "{:.2f}"),
    ("CPU us/pod and round", "cpu_us_a_pod", "{:.0f}"),
    ("RSS MB at most", "rss_mb", "{:.0f}"),
    ("status writes when nothing changed", "status_writes", "{}"),
    ("models written by their own one", "written_by_one", "{}"),
    ("by both, none or the other", "broken", "{}"),
]
SECTIONS: list[tuple[str, str, list[Column]]] = [
    ("streams", "Streams, a chunk each 20 ms", STREAMS),
    ("unary", "Unary requests, closed loop, keep-alive", REQUESTS),
    ("prompts", "1 MB prompts, keep-alive, 5 ms from an answer to the next", REQUESTS),
    ("connections", "Short connections, open loop", REQUESTS),
    ("observer", "Observer, replay of a recording", OBSERVER),
    ("memory", "Memory of all processes, MB of 10^6 bytes", MEMORY),
    ("admission", "Webhook: pods created through the API server", ADMISSION),
    ("operator", "Controller: pods observed (of two, the one that needs more)", OPERATOR),
]


def report(rows: list[Row], targets: list[Target], problems: list[str]) -> str:
    """Return everything as Markdown."""
    parts = []
    for workload, title, columns in SECTIONS:
        mine = [row for row in rows if row.workload == workload]
        if mine:
            parts.append(f"## {title}\n\n{_section(mine, columns)}")
    lines = [[t.figure, *_numbers(t), t.verdict()] for t in targets]
    parts.append(f"## Targets\n\n{_table(['figure', 'target', 'measured', ''], lines)}")
    if problems:
        said = "\n".join(f"- {problem}" for problem in problems)
        parts.append(f"## WORTHLESS: this run does not count\n\n{said}")
    return "\n\n".join(parts)


def _section(rows: list[Row], columns: list[Column]) -> str:
    """Return a table without the columns in which nothing was measured."""
    kept = [c for c in columns if any(c[1] in row.figures or c[1] in row.counts for row in rows)]
    lines = [[row.label, row.way, *(_cell(row, column) for column in kept)] for row in rows]
    return _table(["", "way", *(title for title, _, _ in kept)], lines)


def _cell(row: Row, column: Column) -> str:
    """Return one figure; added times of the way they are measured against are left out."""
    _, name, form = column
    if name in row.counts:
        return form.format(row.counts[name])
    if name not in row.figures or (row.way == "direct" and name.startswith("added_")):
        return ""
    return form.format(row.figures[name].median)


def _numbers(target: Target) -> tuple[str, str]:
    if target.limit is None or target.measured is None:
        return "", ""
    sign = "at least" if target.at_least else "at most"
    return f"{sign} {_plain(target.limit)}{target.unit}", _plain(target.measured)


def _plain(number: float) -> str:
    """Return a number with the digits that matter."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _table(titles: list[str], lines: list[list[str]]) -> str:
    rows = [titles, ["---"] * len(titles), *lines]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
