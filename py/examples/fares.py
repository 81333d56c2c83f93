"""An MCP server with one tool, for `examples.run`."""

try:
    from mcp.server.mcpserver import MCPServer
except ImportError:  # mcp 1.x
    from mcp.server.fastmcp import FastMCP as MCPServer  # type: ignore[attr-defined,no-redef]


def ticket_price(passengers: int) -> str:
    """Say what tickets for so many passengers cost."""
    return f"{1.40 * passengers:.2f} EUR"


if __name__ == "__main__":
    server = MCPServer("fares")
    server.tool()(ticket_price)
    server.run("stdio")
