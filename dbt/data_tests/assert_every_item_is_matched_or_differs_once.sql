-- The bridge: what the two sides hold differs by exactly what the differences say, in each leg and currency.
select bridge.leg, bridge.provider, bridge.account, bridge.currency, bridge.amount_minor
from {{ ref('fct_reconciliation_bridge') }} as bridge
where bridge.step = 'residual'
    and bridge.amount_minor <> 0
