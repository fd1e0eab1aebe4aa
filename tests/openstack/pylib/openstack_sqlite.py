"""OpenStack on SQLite with more than one thread: oslo.db starts every transaction with a
plain BEGIN, so two threads that read and then write meet "database is locked" at once,
whatever the timeout.  One writer at a time per process, and WAL (so that readers never
wait), removes that.

    python -m openstack_sqlite FILE...   set WAL on these database files
"""
import contextlib
import threading


def install():
    from oslo_db.sqlalchemy import enginefacade as ef
    cls, lock = ef._TransactionContextManager, threading.RLock()
    real = cls._transaction_scope

    @contextlib.contextmanager
    def scope(self, context):
        if self._mode is ef._WRITER:
            with lock, real(self, context) as r:
                yield r
        else:
            with real(self, context) as r:
                yield r
    cls._transaction_scope = scope


if __name__ == '__main__':
    import sqlite3
    import sys
    for f in sys.argv[1:]:
        c = sqlite3.connect(f)
        assert c.execute('PRAGMA journal_mode=WAL').fetchone()[0] == 'wal', f
        c.close()
