"""Opens objects with OpenStack Swift's DiskFile and prints what it finds, one JSON object per line.

usage: read_with_swift.py <devices> <prefix> <suffix> <device> <partition> < lines of JSON [account, container, object]
The last line holds the partition's suffix hashes.
"""
import json
import logging
import sys

from swift.common import utils
from swift.common.storage_policy import POLICIES
from swift.obj import diskfile
from swift.common.exceptions import DiskFileDeleted, DiskFileNotExist

devices, prefix, suffix, device, partition = sys.argv[1:]
utils.HASH_PATH_PREFIX, utils.HASH_PATH_SUFFIX = prefix.encode(), suffix.encode()
# The objects are from 2023: nothing of them is to be reclaimed.
conf = {'devices': devices, 'mount_check': 'false', 'reclaim_age': '9999999999'}
manager = diskfile.DiskFileManager(conf, logging.getLogger('quiet'))
for line in sys.stdin:
    out = {}
    df = manager.get_diskfile(device, partition, *json.loads(line), policy=POLICIES[0])
    try:
        with df.open(current_time=1700000000):
            out['metadata'] = {k: v.encode('utf-8').hex() for k, v in df.get_metadata().items()}
            out['body'] = b''.join(df.reader()).hex()
    except DiskFileDeleted as err:
        out['deleted'] = err.timestamp.internal
    except DiskFileNotExist:
        out['missing'] = True
    print(json.dumps(out))
_, hashes = manager._get_hashes(device, partition, POLICIES[0], recalculate=[])
print(json.dumps(hashes))
