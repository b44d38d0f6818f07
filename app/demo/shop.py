"""The simulated shop as it is built: services, operations, calls, dependencies.

A fixed table, which `app.demo.topology` turns into arrays. All rates and latencies here are guessed, to look like a
mid-size shop of which a sample of the traffic is traced.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMPONENTS", "DEPENDENCIES", "EDGES", "OPERATIONS", "Component", "Dependency", "Edge", "Operation"]


@dataclass(frozen=True, slots=True)
class Component:
    """One service of the shop: its name, language, how many run, and how large it is.

    Parameters
    ----------
    name, language, version : str
        ``service.name``, ``telemetry.sdk.language`` and the version of the first deployment.
    instances : int
        How many processes run, 2 or 3.
    port : int
        Where its callers reach it.
    heap_bytes : int
        The memory limit of one process.
    pool : int
        The size of its database connection pool.
    """

    name: str
    language: str
    version: str
    instances: int
    port: int
    heap_bytes: int
    pool: int


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something that the shop calls and does not trace.

    Parameters
    ----------
    name, system, host : str
        Short name, ``db.system.name`` (or ``http``), and ``server.address``.
    port : int
        ``server.port``.
    external : bool
        Whether somebody else runs it.
    """

    name: str
    system: str
    host: str
    port: int
    external: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One entry of a service.

    Parameters
    ----------
    service, name, kind : str
        Its service, its span name, and one of ``http``, ``grpc``, ``consumer``, ``job``.
    rate : float
        Traces that begin here, a minute, on an average minute.
    median_ms, sigma : float
        Lognormal own latency.
    dependency : str
        What it calls outside the traced mesh.
    dependency_p : float
        How often it does; below 1 where a cache stands in front.
    statement : str
        Query summary or route of that call.
    writes : bool
        Whether it writes to a disk.
    """

    service: str
    name: str
    kind: str
    rate: float
    median_ms: float
    sigma: float
    dependency: str
    dependency_p: float
    statement: str
    writes: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    """One operation calls another.

    Parameters
    ----------
    caller, callee : str
        ``service name`` of both operations.
    p : float
        How often a call happens per entry of the caller.
    fatal : float
        How often a failure of the callee fails the caller; otherwise the caller falls back.
    queued : bool
        Whether the call is a message, which the caller does not wait for.
    """

    caller: str
    callee: str
    p: float
    fatal: float
    queued: bool = False


_MB = 2**20
COMPONENTS = (
    Component("web", "nodejs", "5.8.1", 3, 3000, 1024 * _MB, 20),
    Component("catalog", "go", "2.31.0", 2, 9001, 512 * _MB, 25),
    Component("search", "java", "3.4.7", 2, 8083, 2048 * _MB, 16),
    Component("cart", "dotnet", "1.19.2", 2, 8084, 768 * _MB, 30),
    Component("checkout", "go", "4.2.0", 3, 9005, 512 * _MB, 20),
    Component("payment", "java", "7.0.3", 2, 8086, 1536 * _MB, 15),
    Component("inventory", "dotnet", "2.8.5", 2, 8087, 1024 * _MB, 20),
    Component("orders", "java", "6.11.1", 3, 8088, 1536 * _MB, 20),
    Component("shipping", "rust", "0.14.0", 2, 9009, 256 * _MB, 12),
    Component("notification", "python", "1.7.9", 2, 8090, 512 * _MB, 10),
    Component("recommendation", "python", "0.22.4", 2, 8091, 1024 * _MB, 10),
    Component("user", "nodejs", "3.16.0", 2, 3012, 768 * _MB, 18),
)

DEPENDENCIES = (
    Dependency("web-redis", "redis", "web-sessions.redis.internal", 6379, False),
    Dependency("catalog-db", "postgresql", "catalog-db.internal", 5432, False),
    Dependency("search-index", "opensearch", "search-index.internal", 9200, False),
    Dependency("cart-redis", "redis", "cart.redis.internal", 6379, False),
    Dependency("checkout-redis", "redis", "checkout.redis.internal", 6379, False),
    Dependency("payment-db", "postgresql", "payment-db.internal", 5432, False),
    Dependency("inventory-db", "microsoft.sql_server", "inventory-db.internal", 1433, False),
    Dependency("orders-db", "mysql", "orders-db.internal", 3306, False),
    Dependency("shipping-db", "postgresql", "shipping-db.internal", 5432, False),
    Dependency("notification-db", "mongodb", "notification-db.internal", 27017, False),
    Dependency("recommendation-redis", "redis", "features.redis.internal", 6379, False),
    Dependency("user-db", "postgresql", "user-db.internal", 5432, False),
    Dependency("bank-api", "http", "api.nordbank.example", 443, True),
    Dependency("mail-provider", "http", "smtp-relay.postwing.example", 443, True),
    Dependency("carrier-api", "http", "rates.parcelhub.example", 443, True),
    Dependency("identity-provider", "http", "login.keyhouse.example", 443, True),
)

_Op = Operation
OPERATIONS = (
    _Op("web", "GET /", "http", 2.4, 18, 0.45, "web-redis", 0.2, "GET session"),
    _Op("web", "GET /products/{id}", "http", 3.4, 22, 0.45, "web-redis", 0.2, "GET session"),
    _Op("web", "GET /search", "http", 2.2, 20, 0.5, "web-redis", 0.2, "GET session"),
    _Op("web", "POST /cart/items", "http", 1.9, 25, 0.45, "web-redis", 0.3, "SET session", True),
    _Op("web", "POST /checkout", "http", 2.1, 35, 0.5, "web-redis", 0.3, "SET session", True),
    _Op("catalog", "shop.Catalog/GetProduct", "grpc", 0, 9, 0.5, "catalog-db", 0.3, "SELECT products"),
    _Op("catalog", "shop.Catalog/ListCategories", "grpc", 0, 12, 0.5, "catalog-db", 0.2, "SELECT categories"),
    _Op("catalog", "shop.Catalog/ListProducts", "grpc", 0, 18, 0.5, "catalog-db", 0.4, "SELECT products"),
    _Op("catalog", "price-updates process", "consumer", 0.8, 25, 0.6, "catalog-db", 0.5, "UPDATE prices", True),
    _Op("search", "GET /query", "http", 0, 45, 0.6, "search-index", 0.4, "POST /products/_search"),
    _Op("search", "GET /suggest", "http", 3.2, 14, 0.5, "search-index", 0.2, "POST /suggest/_search"),
    _Op("search", "index-products process", "consumer", 1.0, 70, 0.6, "search-index", 0.7, "POST /products/_bulk", True),
    _Op("cart", "POST /items", "http", 0, 10, 0.45, "cart-redis", 0.3, "HSET cart", True),
    _Op("cart", "GET /cart/{id}", "http", 1.6, 7, 0.45, "cart-redis", 0.3, "HGETALL cart"),
    _Op("cart", "POST /cart/{id}/merge", "http", 1.2, 15, 0.5, "cart-redis", 0.3, "HSET cart", True),
    _Op("checkout", "shop.Checkout/PlaceOrder", "grpc", 0, 30, 0.5, "checkout-redis", 0.2, "SET order-draft", True),
    _Op("checkout", "shop.Checkout/PreviewOrder", "grpc", 2.2, 16, 0.5, "checkout-redis", 0.2, "GET order-draft"),
    _Op("checkout", "shop.Checkout/ApplyCoupon", "grpc", 1.8, 11, 0.5, "checkout-redis", 0.2, "GET coupon", True),
    _Op("payment", "POST /charges", "http", 0, 120, 0.5, "bank-api", 1.0, "POST /v2/charges"),
    _Op("payment", "GET /payment-methods", "http", 1.5, 12, 0.45, "payment-db", 0.3, "SELECT payment_methods"),
    _Op("payment", "POST /bank/callbacks", "http", 2.0, 20, 0.5, "payment-db", 0.4, "UPDATE charges", True),
    _Op("payment", "settle-charges", "job", 0.7, 180, 0.6, "bank-api", 1.0, "POST /v2/settlements"),
    _Op("inventory", "GET /stock/{sku}", "http", 0, 8, 0.45, "inventory-db", 0.3, "SELECT stock"),
    _Op("inventory", "POST /reservations", "http", 0, 24, 0.5, "inventory-db", 0.4, "UPDATE stock", True),
    _Op("inventory", "warehouse-updates process", "consumer", 2.2, 30, 0.6, "inventory-db", 0.3, "MERGE stock", True),
    _Op("orders", "POST /orders", "http", 0, 32, 0.5, "orders-db", 0.5, "INSERT orders", True),
    _Op("orders", "GET /orders", "http", 2.2, 20, 0.5, "orders-db", 0.3, "SELECT orders"),
    _Op("orders", "GET /orders/{id}", "http", 1.9, 10, 0.45, "orders-db", 0.3, "SELECT orders"),
    _Op("shipping", "POST /quotes", "http", 0, 60, 0.5, "carrier-api", 0.8, "POST /rates"),
    _Op("shipping", "orders-created process", "consumer", 0, 40, 0.5, "shipping-db", 0.3, "INSERT shipments", True),
    _Op("shipping", "GET /track/{id}", "http", 2.2, 35, 0.5, "carrier-api", 0.3, "GET /parcels/{id}"),
    _Op("shipping", "POST /carrier/events", "http", 1.2, 14, 0.5, "shipping-db", 0.3, "UPDATE shipments", True),
    _Op("notification", "orders-mail process", "consumer", 0, 80, 0.5, "mail-provider", 0.9, "POST /v3/messages"),
    _Op("notification", "POST /sms", "http", 1.8, 30, 0.5, "notification-db", 0.3, "insert messages", True),
    _Op("notification", "campaign-push process", "consumer", 2.3, 50, 0.6, "mail-provider", 0.4, "POST /v3/messages"),
    _Op("recommendation", "GET /similar/{id}", "http", 0, 28, 0.5, "recommendation-redis", 0.2, "MGET features"),
    _Op("recommendation", "GET /home", "http", 0, 38, 0.5, "recommendation-redis", 0.2, "MGET features"),
    _Op("recommendation", "GET /feed", "http", 1.8, 42, 0.5, "recommendation-redis", 0.2, "MGET features"),
    _Op("recommendation", "refresh-features", "job", 0.6, 300, 0.6, "recommendation-redis", 0.6, "MSET features", True),
    _Op("user", "GET /session", "http", 0, 6, 0.45, "user-db", 0.2, "SELECT sessions"),
    _Op("user", "POST /login", "http", 1.9, 65, 0.5, "identity-provider", 0.5, "POST /oauth2/token"),
    _Op("user", "POST /token", "http", 1.6, 25, 0.5, "identity-provider", 0.4, "POST /oauth2/introspect"),
    _Op("user", "PUT /profile", "http", 0.6, 18, 0.5, "user-db", 0.5, "UPDATE users", True),
)

_E = Edge
EDGES = (
    _E("web GET /", "recommendation GET /home", 0.65, 0.05),
    _E("web GET /", "catalog shop.Catalog/ListCategories", 0.8, 0.7),
    _E("web GET /", "user GET /session", 0.5, 0.3),
    _E("web GET /products/{id}", "catalog shop.Catalog/GetProduct", 1.0, 0.95),
    _E("web GET /products/{id}", "recommendation GET /similar/{id}", 0.7, 0.04),
    _E("web GET /products/{id}", "inventory GET /stock/{sku}", 0.6, 0.35),
    _E("web GET /search", "search GET /query", 1.0, 0.9),
    _E("web GET /search", "catalog shop.Catalog/ListProducts", 0.4, 0.6),
    _E("web POST /cart/items", "cart POST /items", 1.0, 0.95),
    _E("web POST /cart/items", "user GET /session", 0.4, 0.5),
    _E("web POST /checkout", "user GET /session", 0.5, 0.8),
    _E("web POST /checkout", "checkout shop.Checkout/PlaceOrder", 1.0, 0.95),
    _E("checkout shop.Checkout/PlaceOrder", "cart GET /cart/{id}", 0.9, 0.9),
    _E("checkout shop.Checkout/PlaceOrder", "inventory POST /reservations", 1.0, 0.85),
    _E("checkout shop.Checkout/PlaceOrder", "shipping POST /quotes", 0.7, 0.5),
    _E("checkout shop.Checkout/PlaceOrder", "payment POST /charges", 1.0, 0.95),
    _E("checkout shop.Checkout/PlaceOrder", "orders POST /orders", 0.95, 0.9),
    _E("checkout shop.Checkout/PreviewOrder", "cart GET /cart/{id}", 0.5, 0.85),
    _E("checkout shop.Checkout/PreviewOrder", "shipping POST /quotes", 0.4, 0.4),
    _E("orders POST /orders", "notification orders-mail process", 0.9, 0.0, True),
    _E("orders POST /orders", "shipping orders-created process", 0.7, 0.0, True),
    _E("user POST /login", "notification POST /sms", 0.25, 0.3),
)
