"""Money that moves because we say so: invoices, receipts, refunds, payouts, approvals, bank files.

The room is named here, in the import contracts and in `docs/rooms.md`; its code comes with payouts and approvals.
"""
