"""Drives OpenStack Swift's own brokers for the interoperability test: one JSON command per line in, one answer out."""
import json
import os
import sys

from swift.account.backend import AccountBroker
from swift.common.utils import ShardRange, Timestamp
from swift.container.backend import ContainerBroker


def container(c):
    return ContainerBroker(c['file'], account=c['account'], container=c['container'])


def run(c):
    op = c['op']
    if op == 'create-container':
        container(c).initialize(c['put'], c['policy'])
    elif op == 'create-account':
        AccountBroker(c['file'], account=c['account']).initialize(c['put'])
    elif op == 'put-objects':
        b = container(c)
        for row in c['rows']:
            b.put_object(*row)
    elif op == 'put-containers':
        b = AccountBroker(c['file'], account=c['account'])
        for row in c['rows']:
            b.put_container(*row)
    elif op == 'container-info':
        b = container(c)
        info = b.get_info()
        return {'info': info, 'deleted': b.is_deleted(), 'metadata': b.metadata, 'rows': b.get_items_since(-1, 100000)}
    elif op == 'account-info':
        b = AccountBroker(c['file'], account=c['account'])
        return {'info': b.get_info(), 'deleted': b.is_deleted(), 'metadata': b.metadata,
                'rows': b.get_items_since(-1, 100000),
                'stats': {str(k): v for k, v in b.get_policy_stats(do_migrations=True).items()}}
    elif op == 'metadata':
        container(c).update_metadata(c['metadata'])
    elif op == 'delete':
        container(c).delete_db(Timestamp(c['time']).internal)
    elif op == 'merge':
        container(c).merge_items(c['rows'])
    elif op == 'merge-ranges':
        b = container(c)
        b.merge_shard_ranges([ShardRange.from_dict(r) for r in c['ranges']])
        return [dict(r) for r in b.get_shard_ranges(include_deleted=True, include_own=True)]
    elif op == 'list':
        b = container(c)
        return [b.list_objects_iter(**a) for a in c['calls']]
    elif op == 'list-account':
        b = AccountBroker(c['file'], account=c['account'])
        return [b.list_containers_iter(**a) for a in c['calls']]
    else:
        raise ValueError(op)


print('ready', flush=True)
for line in sys.stdin:
    try:
        answer = {'ok': run(json.loads(line))}
    except Exception as e:
        answer = {'error': '%s: %s' % (type(e).__name__, e)}
    print(json.dumps(answer), flush=True)
