"""What was measured, as Markdown: one table of goals, and one for each job."""

import statistics


def markdown(results, jobs):
    """All tables of a file of times."""
    measured = [(job, results["jobs"][job.name]) for job in jobs if results["jobs"].get(job.name, {}).get("runs")]
    conditions = results.get("conditions", {})
    versions = ", ".join(f"{name} {version}" for name, version in conditions.get("versions", {}).items())
    head = f"{conditions.get('machine')}; commit {conditions.get('commit')}; {versions}"
    parts = [head, goals(measured), floors(measured), memory(measured)]
    return "\n\n".join([*parts, *(of_job(job, entry) for job, entry in measured)])


def goals(measured):
    """One row for each job: the seconds of everybody, and whether the goal is met."""
    peers = ["duckdb", "polars", "chdb", "datafusion"]
    lines = [
        "| job | Thalweg s | M rows/s | one worker s | batch mode s | DuckDB s | Polars s | chDB s | DataFusion s "
        "| × the fastest | goal × | goal M rows/s | met |",
        "| --- |" + " ---: |" * 11 + " --- |",
    ]
    for job, entry in measured:
        runs = entry["runs"]
        main, *others = job.modes
        base = runs.get(f"thalweg {main} 2")
        if not base:
            continue
        median = statistics.median(base["seconds"])
        rate = entry["rows"] / median / 1e6
        batch = runs.get("thalweg batch 2")
        ratios = {name: ratio(runs[name], base) for name in peers if name in runs}
        fastest = min(ratios.values(), default=None)
        met = verdict(fastest, job.goal_ratio, rate, job.goal_rate)
        cells = [
            job.title,
            f"{median:.3f}{'' if others else ' (batch)'}",
            f"{rate:.1f}",
            seconds(runs.get(f"thalweg {main} 1")),
            seconds(batch),
            *(seconds(runs.get(name)) if name not in entry["failures"] else "failed" for name in peers),
            f"{fastest:.2f}" if fastest else "",
            f"{job.goal_ratio:g}",
            f"{job.goal_rate:g}" if job.goal_rate else "",
            met,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def verdict(fastest, goal_ratio, rate, goal_rate):
    """Of the ratio, which is the goal; the rate, which is the aim, in words where it is missed."""
    if fastest is None:
        return ""
    share = fastest / goal_ratio
    if share < 1:
        return f"no: {share:.0%}"
    return "yes" if goal_rate is None or rate >= goal_rate else f"yes; aim: {rate / goal_rate:.0%}"


def floors(measured):
    """One worker alone, and two against one."""
    lines = [
        "| job | one worker M rows/s | goal | met | two against one × | goal | met |",
        "| --- | ---: | ---: | --- | ---: | ---: | --- |",
    ]
    for job, entry in measured:
        main = job.modes[0]
        two, one = (entry["runs"].get(f"thalweg {main} {workers}") for workers in (2, 1))
        if not job.goal_one or not one or not two:
            continue
        rate = entry["rows"] / statistics.median(one["seconds"]) / 1e6
        scaling = ratio(one, two)
        lines.append(
            f"| {job.title} | {rate:.1f} | {job.goal_one:g} | {share(rate, job.goal_one)} "
            f"| {scaling:.2f} | {job.goal_scaling:g} | {share(scaling, job.goal_scaling)} |"
        )
    return "\n".join(lines)


def share(value, goal):
    return "yes" if value >= goal else f"no: {value / goal:.0%}"


def memory(measured):
    """Peak memory of everybody."""
    names = ["duckdb", "polars", "chdb", "datafusion"]
    lines = ["| job | Thalweg peak MiB | DuckDB | Polars | chDB | DataFusion |", "| --- |" + " ---: |" * 5]
    for job, entry in measured:
        runs = entry["runs"]
        ours = runs.get(f"thalweg {job.modes[0]} 2")
        cells = [f"{max(run['peak_mib']):.0f}" if run else "" for run in [ours, *(runs.get(name) for name in names)]]
        lines.append(f"| {job.title} | {' | '.join(cells)} |")
    return "\n".join(lines)


def of_job(job, entry):
    """Everybody who ran one job."""
    runs = entry["runs"]
    base = runs.get(f"thalweg {job.modes[0]} 2") or next(iter(runs.values()), None)
    lines = [
        f"{job.title}: {entry['rows']:,} rows, {len(base['seconds']) if base else 0} rounds",
        "",
        "| engine | median s | least | most | M rows/s | peak MiB | × Thalweg |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for run in sorted(runs.values(), key=lambda run: statistics.median(run["seconds"])):
        times = run["seconds"]
        median = statistics.median(times)
        lines.append(
            f"| {run['label']} | {median:.3f} | {min(times):.3f} | {max(times):.3f} | {entry['rows'] / median / 1e6:.1f} "
            f"| {max(run['peak_mib']):.0f} | {ratio(run, base):.2f} |"
        )
    lines += [f"\n{name} failed: {reason}" for name, reason in entry["failures"].items()]
    return "\n".join(lines)


def ratio(run, base):
    """Median of the ratios within each round."""
    pairs = list(zip(run["seconds"], base["seconds"]))
    return statistics.median(one / other for one, other in pairs)


def seconds(run):
    return f"{statistics.median(run['seconds']):.3f}" if run else ""
