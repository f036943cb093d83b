-- A match that claims equality has equal amounts.
select matches.match_id
from {{ ref('fct_matches') }} as matches
where matches.is_equal
    and (
        (matches.leg = 'A' and matches.ledger_amount_minor <> matches.psp_amount_minor)
        or (matches.leg = 'B' and matches.psp_amount_minor <> matches.bank_amount_minor)
    )
