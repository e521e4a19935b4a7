# Loads the ring and the builder given as arguments in OpenStack Swift. Prints as JSON: for each partition the ids of its
# primaries and of all its handoffs; what the builder says of itself; the same after another rebalance.
import json
import sys

from swift.common.ring import Ring
from swift.common.ring.builder import RingBuilder


def facts(b):
    b.validate()
    return {'version': b.version, 'balance': b.get_balance(), 'dispersion': b.dispersion, 'id': b.id,
            'overload': b.overload, 'replicas': b.replicas, 'min_part_hours': b.min_part_hours,
            'removed': [d['id'] for d in b._remove_devs], 'changed': b.devs_changed,
            'rest': b.min_part_seconds_left}


r = Ring(sys.argv[1])
b = RingBuilder.load(sys.argv[2])
out = {'size': r.size, 'md5': r.md5, 'version': r.version, 'parts': [
    [[n['id'] for n in r.get_part_nodes(p)], [n['id'] for n in r.get_more_nodes(p)]]
    for p in range(r.partition_count)]}
out['builder'] = facts(b)
b.pretend_min_part_hours_passed()
b.rebalance(seed='again')
out['again'] = facts(b)
b.save(sys.argv[2])
json.dump(out, sys.stdout)
