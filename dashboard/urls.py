from __future__ import annotations

from django.contrib.auth import views as auth
from django.urls import path

from dashboard import exports
from dashboard.api import application
from dashboard.views import (
    accounts,
    api_tokens,
    backtests,
    bot,
    bot_actions,
    bot_edit,
    bot_form,
    bots,
    bulk,
    channels,
    currency,
    curves,
    halt,
    installed,
    markets,
    overview,
    performance,
    search,
    settings,
    status,
    system,
    tables,
)

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("equity.json", overview.equity_json, name="equity"),
    path("equity/", curves.equity, name="equity-table"),
    path("performance/", performance.performance, name="performance"),
    path("performance.csv", performance.days_csv, name="performance-csv"),
    path("performance/correlation/", performance.correlation, name="correlation"),
    path("halt/", halt.halt, name="halt"),
    path("release/", halt.release, name="release"),
    path("bots/", bots.bots, name="bots"),
    path("bots/new/", bot_form.new_bot, name="new-bot"),
    path("bots/all/<slug:name>/", bulk.bulk, name="bots-bulk"),
    path("bots/<int:bot_id>/", bot.bot, name="bot"),
    path("bots/<int:bot_id>/edit/", bot_edit.edit_bot, name="bot-edit"),
    path("bots/<int:bot_id>/equity/", curves.bot_equity, name="bot-equity-table"),
    path("bots/<int:bot_id>/<slug:name>/", bot_actions.bot_action, name="bot-action"),
    path("bots/<int:bot_id>/chart.json", bot.bot_chart_json, name="bot-chart"),
    path("bots/<int:bot_id>/equity.json", bot.bot_equity_json, name="bot-equity"),
    # Positions, trades, orders, activity; each as a page and as files
    *(path(f"{name}/", tables.table, {"name": name}, name=name) for name in tables.TABLES),
    *(
        path(f"{name}.{form}", tables.export, {"name": name, "form": form}, name=f"{name}-{form}")
        for name in tables.TABLES
        for form in exports.FORMS
    ),
    path("backtests/", backtests.backtests, name="backtests"),
    path("backtests/new/", backtests.new_backtest, name="new-backtest"),
    path("backtests/compare/", backtests.compare, name="compare-backtests"),
    path("backtests/<int:backtest_id>/", backtests.backtest, name="backtest"),
    path("backtests/<int:backtest_id>/curve/", curves.backtest_curve, name="backtest-curve"),
    path("backtests/<int:backtest_id>/chart.json", backtests.backtest_chart_json, name="backtest-chart"),
    path("backtests/<int:backtest_id>/cancel/", backtests.cancel, name="backtest-cancel"),
    path("backtests/<int:backtest_id>/again/", backtests.again, name="backtest-again"),
    path("backtests/<int:backtest_id>/delete/", backtests.delete, name="backtest-delete"),
    path("markets/", markets.markets, name="markets"),
    path("markets/<int:market_id>/", markets.market, name="market"),
    path("markets/<int:market_id>/chart.json", markets.market_chart_json, name="market-chart"),
    path("markets/<int:market_id>/watch/", markets.watch, name="market-watch"),
    path("markets/<int:market_id>/candles/", markets.market_candles, name="market-candles"),
    path("search/", search.search, name="search"),
    path("system/", system.system, name="system"),
    # As an installed app
    path("app.webmanifest", installed.manifest, name="manifest"),
    path("service-worker.js", installed.service_worker, name="service-worker"),
    path("offline/", installed.offline, name="offline"),
    path("health", status.health, name="health"),
    path("ready", status.ready, name="ready"),
    path("metrics", status.metrics, name="metrics"),
    path("settings/", settings.profile, name="settings"),
    path("settings/currency/", currency.choose_currency, name="settings-currency"),
    path("settings/password/", settings.password, name="settings-password"),
    path("settings/accounts/", accounts.accounts, name="accounts"),
    path("settings/tokens/", api_tokens.api_tokens, name="api-tokens"),
    path("settings/tokens/<int:token_id>/revoke/", api_tokens.revoke_api_token, name="revoke-api-token"),
    path("settings/channels/", channels.channels, name="channels"),
    path("settings/channels/new/", channels.new_channel, name="new-channel"),
    path("settings/channels/<int:channel_id>/", channels.channel, name="channel"),
    path("settings/channels/<int:channel_id>/test/", channels.test, name="channel-test"),
    path("settings/channels/<int:channel_id>/pause/", channels.pause, name="channel-pause"),
    path("settings/channels/<int:channel_id>/delete/", channels.delete, name="channel-delete"),
    path("api/docs/", api_tokens.api_reference, name="api-reference"),
    path("api/", application.urls),
    # Log in and out
    path("login/", auth.LoginView.as_view(template_name="registration/login.html"), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
]
