#!/usr/bin/env python3
"""Verdicts and gates of table.py, from made-up results."""
import json
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import table

LIMITS = {"ka128": {"must": 0.65, "goal": 0.60, "gate": 0.81}, "l4": {"must": 0.95, "gate": 1.19},
          "bulk": {"must": 0.60, "gate": 0.75}, "memory": {"must": 600, "goal": 400, "gate": 750},
          "epoll": {"must": 1.15, "gate": 1.44, "of": ["ka128"]}}


def rows(key, errors=0, **figures):
    return [{"peer": peer.replace("_", "-"), key: figure, "errors": errors, "port": "http"} for peer, figure in figures.items()]


class Table(unittest.TestCase):
    def judged(self, work, results):
        lines, faults = table.judge(work, results, LIMITS)
        return "\n".join(lines), faults

    def test_says_by_how_much_a_must_is_missed_and_passes_below_the_gate(self):
        text, faults = self.judged("ka128", rows("cpu_us_per_req", fairlead=7.8, haproxy=10.0))
        self.assertIn("missed by 20 %", text)
        self.assertEqual(faults, [])

    def test_tells_a_goal_from_a_must(self):
        self.assertIn("| goal met |", self.judged("ka128", rows("cpu_us_per_req", fairlead=6.0, haproxy=10.0))[0])
        self.assertIn("| met |", self.judged("ka128", rows("cpu_us_per_req", fairlead=6.4, haproxy=10.0))[0])

    def test_above_the_gate_is_a_fault(self):
        self.assertEqual(len(self.judged("ka128", rows("cpu_us_per_req", fairlead=8.2, haproxy=10.0))[1]), 1)

    def test_errors_and_a_missing_figure_are_faults(self):
        self.assertEqual(len(self.judged("ka128", rows("cpu_us_per_req", errors=1, fairlead=6.0, haproxy=10.0))[1]), 1)
        self.assertEqual(len(self.judged("ka128", [])[1]), 1)

    def test_epoll_is_held_against_the_ring(self):
        text, faults = self.judged("ka128", rows("cpu_us_per_req", fairlead=6.0, fairlead_epoll=9.0, haproxy=10.0))
        self.assertIn("missed by 30 % (1.50)", text)
        self.assertEqual(len(faults), 1)

    def test_tcp_counts_what_is_added_to_the_way_without_a_balancer(self):
        text, faults = self.judged("l4", rows("all_us_per_req", fairlead=15.0, haproxy=20.0, direct=10.0))
        self.assertIn("5.00 CPU µs/request, all, minus direct | 0.50", text)
        self.assertEqual(faults, [])

    def test_bulk_compares_cpu_per_byte_and_not_bytes_per_cpu(self):
        text, faults = self.judged("bulk", rows("gib_per_cpu_s", fairlead=4.0, haproxy_splice=2.0))
        self.assertIn("| 0.50 |", text)
        self.assertEqual(faults, [])

    def test_memory_is_bytes_and_no_ratio(self):
        self.assertEqual(len(self.judged("memory", rows("bytes_per_conn", fairlead=800, haproxy=1000))[1]), 1)

    def test_medians_of_rounds_give_the_same_verdict_as_the_rounds(self):
        rounds = [row for figure in (5.0, 6.0, 9.0) for row in rows("cpu_us_per_req", errors=1, fairlead=figure, haproxy=10.0)]
        kept = table.reduced(rounds)
        self.assertEqual(self.judged("ka128", kept), self.judged("ka128", rounds))
        self.assertEqual({row["peer"]: row["errors"] for row in kept}, {"fairlead": 3, "haproxy": 3})

    def test_the_summary_has_both_layouts_in_a_line(self):
        own, one = rows("cpu_us_per_req", fairlead=6.0, haproxy=10.0, nginx=11.0), rows("cpu_us_per_req", fairlead=4.0, haproxy=10.0)
        text = table.summary({"results": {"own": {"ka128": own}, "one": {"ka128": one}}})
        self.assertIn("| 6.00 | 10.00 | 11.00 | CPU µs/request | **0.60** | **0.40** |", text)

    def test_every_workload_has_a_gate_above_its_must(self):
        with open(f"{HERE}/limits.json") as file:
            limits = json.load(file)
        for layout in table.LAYOUTS:
            for work, limit in limits[layout].items():
                self.assertIn(work, [*table.WORK, "epoll"])
                self.assertGreater(limit["gate"], limit["must"])


if __name__ == "__main__":
    unittest.main()
