"""A wallet of several assets and symbols with other quote assets, over real sockets."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
import requests

from src.sandbox.market.listings import also_quoted_in, load_listings
from src.sandbox.market.scenario import Scenario
from src.sandbox.options import make_scenario, parse_options
from src.sandbox.server import SandboxServer
from tests.sandbox.client import Answer, Client, Subscriber
from tests.sandbox.streams.test_server import wait_for_subscription
from tests.sandbox.test_faults import inject

PRICE = Decimal("1.0842")
"""Price of ASTER."""


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    with SandboxServer(scenario=Scenario(also_quoted_in(load_listings(), ("USDC", "USD1")))) as running:
        yield running


@pytest.fixture
def rich(client: Client) -> Client:
    """A client with 10,000 USDT, 2,000 USDC, 500 USD1 and 1,000 ASTER."""
    for asset, amount in (("USDC", 2_000), ("USD1", 500), ("ASTER", 1_000)):
        inject(client, "deposited", new=asset, value=amount)
    return client


def by_asset(rows: Answer, field: str) -> dict[str, Decimal]:
    return {row["asset"]: Decimal(row[field]) for row in rows}


def test_totals_are_of_usdt_in_single_asset_mode(rich: Client) -> None:
    account = rich.get("/fapi/v4/account")

    assert Decimal(account["totalWalletBalance"]) == Decimal(account["totalCrossWalletBalance"]) == 10_000
    assert by_asset(account["assets"], "walletBalance") == {"USDT": 10_000, "USDC": 2_000, "USD1": 500, "ASTER": 1_000}
    assert by_asset(account["assets"], "availableBalance")["ASTER"] == 1_000


def test_totals_are_over_all_assets_in_multi_assets_mode(rich: Client) -> None:
    rich.post("/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    account = rich.get("/fapi/v4/account")
    expected = 12_500 + 1_000 * PRICE * Decimal("0.95")
    totals = ("totalWalletBalance", "totalMarginBalance", "totalCrossWalletBalance", "availableBalance")

    assert [abs(Decimal(account[each]) - expected) < 1 for each in totals] == [True] * 4
    assert by_asset(rich.get("/fapi/v2/balance"), "balance") == by_asset(account["assets"], "walletBalance")
    assert by_asset(rich.get("/fapi/v2/balance"), "availableBalance")["ASTER"] == 1_000


@pytest.mark.parametrize("asset", ["USDC", "USD1"])
def test_symbol_with_another_quote_asset_uses_its_wallet(rich: Client, asset: str) -> None:
    symbol = f"BTC{asset}"
    listed = {each["symbol"]: each for each in rich.public("/fapi/v1/exchangeInfo").json()["symbols"]}
    before = by_asset(rich.get("/fapi/v2/balance"), "balance")
    rich.order(symbol=symbol)
    (fill,) = rich.get("/fapi/v1/userTrades", symbol=symbol)
    after = by_asset(rich.get("/fapi/v2/balance"), "balance")

    assert (listed[symbol]["quoteAsset"], listed[symbol]["marginAsset"]) == (asset, asset)
    assert fill["commissionAsset"] == asset
    assert {each: before[each] - after[each] for each in before} == {
        each: abs(Decimal(fill["commission"])) if each == asset else 0 for each in before
    }


def test_symbol_has_no_margin_without_its_asset(client: Client) -> None:
    order = {"symbol": "BTCUSD1", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    assert client.rejected("POST", "/fapi/v1/order", **order) == -2019

    client.post("/fapi/v1/multiAssetsMargin", multiAssetsMargin="true")
    assert client.post("/fapi/v1/order", **order)["symbol"] == "BTCUSD1"


def test_fees_and_funding_are_paid_in_aster(server: SandboxServer, rich: Client) -> None:
    inject(rich, "fees_paid_in", new="ASTER")
    inject(rich, "funding_paid_in", new="ASTER")
    key = rich.listen_key()
    with Subscriber(server, f"/ws/{key}") as user_stream:
        wait_for_subscription(server, key)
        rich.order()
        traded = user_stream.until("ACCOUNT_UPDATE")["a"]
        server.exchange.settle_funding("BTCUSDT", Decimal("0.001"))
        funded = user_stream.until("ACCOUNT_UPDATE")["a"]
    (fill,) = rich.get("/fapi/v1/userTrades", symbol="BTCUSDT")
    fee, funding = (rich.get("/fapi/v1/income", incomeType=each)[0] for each in ("COMMISSION", "FUNDING_FEE"))

    assert (fill["commissionAsset"], fee["asset"], fee["tradeId"]) == ("ASTER", "ASTER", str(fill["id"]))
    assert Decimal(fee["income"]) == Decimal(fill["commission"]) < 0
    assert [each["a"] for each in traded["B"]] == ["USDT", "ASTER"]
    assert [(each["a"], each["bc"]) for each in funded["B"]] == [("ASTER", funding["income"])]
    assert by_asset(rich.get("/fapi/v2/balance"), "balance")["USDT"] == 10_000


@pytest.mark.parametrize(("amount", "reason"), [(700, "DEPOSIT"), (-700, "WITHDRAW")])
def test_deposits_and_withdrawals_are_events_and_incomes(
    server: SandboxServer, client: Client, amount: int, reason: str
) -> None:
    key = client.listen_key()
    with Subscriber(server, f"/ws/{key}") as user_stream:
        wait_for_subscription(server, key)
        inject(client, "deposited", value=amount)
        update = user_stream.until("ACCOUNT_UPDATE")["a"]

    assert (update["m"], update["B"][0]["bc"], update["B"][0]["wb"]) == (reason, str(amount), str(10_000 + amount))
    assert client.get("/fapi/v1/income", incomeType="TRANSFER")[-1]["income"] == str(amount)


def test_withdrawal_of_too_much_is_refused(client: Client) -> None:
    url = f"{client.server.base_url}/sandbox/faults"
    response = requests.post(url, json={"kind": "deposited", "value": -20_000}, timeout=20)

    assert (response.status_code, "exceeds" in response.json()["error"]) == (400, True)


def test_quotes_option_lists_symbols_in_other_assets() -> None:
    listings = make_scenario(parse_options(["--quotes", "USDC,USD1"])).listings

    assert len(listings) == 36
    assert listings["ETHUSD1"].instrument.quote_asset == "USD1"
    with pytest.raises(SystemExit):
        parse_options(["--quotes", "usd coin"])
