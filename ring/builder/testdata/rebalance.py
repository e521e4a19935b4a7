# Runs the scenarios of compare_test.go, which come as JSON on stdin, through OpenStack Swift's builder and saves the
# ring after every rebalance as DIR/<scenario>.<n>.ring.gz. Prints the moved part-replicas of each as JSON.
import json
import os
import sys

from swift.common.ring.builder import RingBuilder

moved = {}
for n, s in enumerate(json.load(sys.stdin)):
    b = RingBuilder(s['power'], s['replicas'], 1)
    b.set_overload(s['overload'])
    moves = []
    for step in s['steps']:
        for dev in step['add'] or []:
            b.add_dev(dev)
        for dev_id in step['remove'] or []:
            b.remove_dev(dev_id)
        for dev_id, weight in (step['weigh'] or {}).items():
            b.set_dev_weight(int(dev_id), weight)
        if step['replicas']:
            b.set_replicas(step['replicas'])
        for _ in range(step['rebalances']):
            b.pretend_min_part_hours_passed()
            moves.append(b.rebalance(seed=str(len(moves)))[0])
            b.validate()
            b.get_ring().save(os.path.join(sys.argv[1], '%d.%d.ring.gz' % (n, len(moves) - 1)))
    moved[s['name']] = moves
json.dump(moved, sys.stdout)
