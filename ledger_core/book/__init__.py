"""The one write path into a book's log: one door, `Ledger.append`, for records of every kind.

The steps of a post, in order, each with its file and its thread:

1. The draft is made ready: its kind, its canonical body, its rows but for their place. `shaping.py`, the kind in
   `kinds/`; the caller's thread.
2. The request is queued, or refused because too much waits. `sequencer/queue.py`; the caller's, which waits from here.
3. A batch is taken as soon as the one before is durable. `sequencer/threads.py`; the writer's.
4. The head is locked, the facts are read set-wise, each item is judged by its kind. `posting/head.py`,
   `posting/judge.py`; the writer's.
5. What is accepted gets seq, `prev`, time, bytes, leaf and tree. `posting/plan.py`, `posting/build.py`; the writer's.
6. Records, rows, projections, balances, keys and head are written: transaction 1. `posting/writer.py`; the writer's.
7. One checkpoint over all that is durable is asked of the proxy, after a pause where many would share it.
   `sequencer/pace.py`, `sequencer/notary.py`; the signer's.
8. It is stored and the head's `signed_size` moves: transaction 2. `sequencer/checkpoints.py`; the signer's.
9. The answer is made, with checkpoint and inclusion. `sequencer/answers.py`; the signer's, which wakes the caller.

Under load steps 4 and 5 of the next batch run on the planner's thread while this one is being copied; the plan is used
if the head then stands where it assumed. `opening.py` writes the first record of a book.
"""
