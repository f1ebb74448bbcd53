-- tornado.netutil's resolvers, asking a name server of their own (name_server.lua). PARITY §11.
-- What servers may do wrong is in spec/core/test_resolver.c.
local core = require "tornado.core"
local gen = require "tornado.gen"
local ioloop = require "tornado.ioloop"
local netutil = require "tornado.netutil"
local testing = require "tornado.testing"
local util = require "tornado.util"

local name_server = dofile "spec/tornado/netutil/name_server.lua"

local function serve(options)
    return name_server(finally, options)
end

-- Help ------------------------------------------------------------------------------------

local function failure(fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    return err
end

local function refused(host, family)
    local err = failure(netutil.resolve, host, 80, family)
    assert.is_true(util.isinstance(err, netutil.ResolveError), tostring(err))
    return err
end

local V4 = { family = "inet", address = "192.0.2.1", port = 80 }
local V6 = { family = "inet6", address = "2001:db8::1", port = 80 }

-- A script that is removed behind the case.
local function script(text)
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    finally(function() os.remove(path) end)
    return path
end

describe("tornado.netutil.resolver", function()
    describe("resolve", function()
        it("answers addresses and unix sockets at once", function()
            assert.same({ { family = "inet", address = "127.0.0.1", port = 80 } },
                netutil.resolve("127.0.0.1", 80))
            assert.same({ { family = "inet6", address = "::1", port = 0 } },
                netutil.resolve("0:0:0:0:0:0:0:1", 0, "inet6"))
            assert.same({ { family = "unix", address = "/run/x.sock", port = 0 } },
                netutil.resolve("unix:/run/x.sock", 80))
            assert.equal('cannot resolve "::1": It is an address of IPv6 (NODATA)',
                refused("::1", "inet").message)
            assert.equal("NODATA", refused("127.0.0.1", "inet6").code)
        end)

        it("knows localhost and what is below it", function()
            local server = serve()
            assert.same({ { family = "inet", address = "127.0.0.1", port = 1 } },
                netutil.resolve("localhost", 1, "inet"))
            assert.equal(2, #netutil.resolve("x.LOCALHOST.", 1))
            assert.same({}, server.asked)
        end)

        it("asks for both families, or one", function()
            local server = serve()
            assert.same({ V4 }, netutil.resolve("x.test", 80, "inet"))
            assert.same({ V6 }, netutil.resolve("x.test", 80, "inet6"))
            assert.same({ "x.test", "x.test" }, server.asked)
            local both = netutil.resolve("x.test", 80)
            table.sort(both, function(a, b) return #a.family < #b.family end)
            assert.same({ V4, V6 }, both)
            assert.same({ V4 }, netutil.resolve("four.test", 80, "unspec"))
        end)

        it("raises a ResolveError for what has no address", function()
            serve { timeout = 0.05, tries = 1 }
            local err = refused("nx.test")
            assert.equal("NXDOMAIN", err.code)
            assert.equal("nx.test", err.host)
            assert.equal('ResolveError: cannot resolve "nx.test": Domain name not found (NXDOMAIN)',
                tostring(err))
            assert.equal("NODATA", refused("four.test", "inet6").code)
            assert.equal("SERVFAIL", refused("servfail.test").code)
            assert.equal("TIMEOUT", refused("mute.test").code)
        end)

        it("takes host names only", function()
            local server = serve()
            for _, name in ipairs { "", "a b", "127.1", "0x7f000001", "a\0b", "b\195\188cher.test",
                ("a"):rep(64), "127.0.0.1\0.test" } do
                assert.equal("BADNAME", refused(name).code)
            end
            assert.same({}, server.asked)
        end)

        it("keeps to its deadline", function()
            serve { timeout = 30, deadline = 0.1 }
            local began = core.precise()
            assert.equal("TIMEOUT", refused("mute.test").code)
            local took = core.precise() - began
            assert.truthy(took >= 0.1 and took < 25, took)
        end)

        it("asks once for all who ask at once, and keeps what it is told", function()
            local server = serve()
            local futures = {}
            for i = 1, 20 do
                futures[i] = gen.spawn(netutil.resolve, "x.test", i, "inet")
            end
            assert.equal(20, core.counts().resolves)
            for i = 1, 20 do assert.equal(i, gen.await(futures[i])[1].port) end
            netutil.resolve("X.test", 80, "inet")
            assert.same({ "x.test" }, server.asked)
            netutil.setup { servers = { "127.0.0.1:" .. server.port }, conf = "/dev/null",
                max_ttl = 0 }
            netutil.resolve("x.test", 80, "inet")
            netutil.resolve("x.test", 80, "inet")
            assert.equal(3, #server.asked)
        end)

        it("gives everything back when it is cancelled", function()
            local server = serve()
            local before, co = core.counts(), nil
            local future = gen.spawn(function()
                co = coroutine.running()
                netutil.resolve("mute.test", 80)
            end)
            testing.wait_until(function() return #server.asked > 0 end)
            assert.equal(before.resolves + 1, core.counts().resolves)
            assert.truthy(core.counts().descriptors > before.descriptors)
            ioloop.cancel(ioloop.waiter_of(co), util.TimeoutError("enough"))
            assert.equal("enough", failure(gen.await, future).message)
            assert.equal(before.resolves, core.counts().resolves)
            assert.equal(before.descriptors, core.counts().descriptors)
        end)

        it("says so when too many names are asked for", function()
            serve { timeout = 20, deadline = 20 }
            local running, futures = {}, {}
            for i = 1, 1024 do
                futures[i] = gen.spawn(function()
                    running[i] = coroutine.running()
                    return pcall(netutil.resolve, "mute." .. i .. ".test", 80, "inet")
                end)
            end
            assert.equal("BUSY", refused("one.more.test").code)
            for _, co in ipairs(running) do ioloop.cancel(ioloop.waiter_of(co), "enough") end
            for _, future in ipairs(futures) do assert.is_false(gen.await(future)) end
        end)

        it("refuses what is no question", function()
            for message, arguments in pairs {
                ["bad host: expected string, got nil"] = { nil, 80 },
                ["bad port: expected 0 to 65535, got 65536"] = { "a", 65536 },
                ["bad port: expected 0 to 65535, got \"80\""] = { "a", "80" },
                ['bad family: expected "inet", "inet6" or "unspec", got "ipv4"'] =
                    { "a", 80, "ipv4" },
            } do
                local err = failure(function()
                    local list = netutil.resolve(arguments[1], arguments[2], arguments[3])
                    return list
                end)
                assert.matches("resolver_spec.lua:%d+: " .. message:gsub("%p", "%%%0"), err)
            end
        end)
    end)

    describe("setup", function()
        it("refuses what it does not know", function()
            assert.matches('unknown option "server" %(did you mean "servers"%?%)',
                failure(netutil.setup, { server = {} }))
            assert.matches("bad timeout: expected number, got \"1\"",
                failure(netutil.setup, { timeout = "1" }))
            assert.matches("bad servers: expected IP addresses, with or without :PORT, got dns.t",
                failure(netutil.setup, { servers = { "dns.test" } }))
            assert.matches("bad servers: too long",
                failure(netutil.setup, { servers = { ("1"):rep(2000) } }))
        end)
    end)

    describe("in a process", function()
        it("takes its options from the command line", function()
            local server = serve()
            local command = testing.start_command {
                "--resolver-servers=127.0.0.1:" .. server.port, "--resolver-conf=/dev/null",
                "run", script [[
                    local list = require("tornado.netutil").resolve("a.test", 80, "inet")
                    print(list[1].address)
                ]] }
            testing.wait_until(function() return not testing.is_running(command) end)
            local code, text = testing.stop_command(command)
            assert.equal("192.0.2.1\n", text)
            assert.equal(0, code)
            local bad, _, err = testing.run_command { "--resolver-servers=x", "run", "none.lua" }
            assert.equal(1, bad)
            assert.matches("^ctornado: resolver_servers: expected IP addresses", err)
        end)

        it("may end while it asks", function()
            local server = serve()
            local code, out, err = testing.run_command {
                "--resolver-servers=127.0.0.1:" .. server.port, "run", script [[
                    require("tornado.gen").spawn(require("tornado.netutil").resolve, "mute.test", 1)
                    os.exit(3)
                ]] }
            assert.same({ 3, "", "" }, { code, out, err })
        end)
    end)

    describe("Resolver", function()
        it("has Tornado's names, which all mean the same", function()
            local server = serve()
            for _, name in ipairs { "Resolver", "DefaultLoopResolver", "DefaultExecutorResolver",
                "ExecutorResolver", "BlockingResolver", "ThreadedResolver" } do
                local resolver = netutil[name]()
                assert.same({ V4 }, resolver:resolve("x.test", 80, "inet"))
                resolver:close()
                assert.is_true(util.isinstance(resolver, netutil.Resolver))
            end
            assert.equal(1, #server.asked)
            assert.truthy(netutil.ThreadedResolver { num_threads = 10 })
            assert.matches('unknown option "threads"', failure(function()
                return netutil.ThreadedResolver { threads = 10 }
            end))
        end)

        it("can be told which class it makes", function()
            finally(function() netutil.Resolver.configure() end)
            netutil.Resolver.configure("tornado.netutil.OverrideResolver",
                { mapping = { ["a.test"] = "127.0.0.9" } })
            assert.equal(netutil.OverrideResolver, netutil.Resolver.configured_class())
            assert.equal("127.0.0.9", netutil.Resolver():resolve("a.test", 1)[1].address)
            netutil.Resolver.configure(netutil.ThreadedResolver)
            assert.is_true(util.isinstance(netutil.Resolver(), netutil.ThreadedResolver))
            for _, class in ipairs { 1, {}, netutil.Resolver } do
                assert.matches("resolver_spec.lua:%d+: bad class: expected a descendant",
                    failure(function() netutil.Resolver.configure(class) end))
            end
        end)

        it("may be replaced by a class of the application", function()
            local Own = netutil.Resolver:extend "Own"
            function Own:resolve(host, port) -- luacheck: ignore 212/self
                return { { family = "inet", address = host .. "!", port = port } }
            end
            assert.equal("a!", Own():resolve("a", 1)[1].address)
            local over = netutil.OverrideResolver { resolver = Own(), mapping = { a = "b" } }
            assert.equal("b!", over:resolve("a", 1)[1].address)
        end)
    end)

    describe("OverrideResolver", function()
        it("takes the most specific key", function()
            local resolver = netutil.OverrideResolver { mapping = {
                ["A.test"] = "127.0.0.1",
                [{ "a.test", 443 }] = { "127.0.0.2", 1443 },
                [{ "a.test", 443, "inet6" }] = { "::1", 2443 },
                ["b.test"] = "unix:/run/b.sock",
            } }
            local function first(...)
                local at = resolver:resolve(...)[1]
                return ("%s %s %d"):format(at.family, at.address, at.port)
            end
            assert.equal("inet 127.0.0.1 80", first("a.TEST", 80))
            assert.equal("inet 127.0.0.2 1443", first("a.test", 443))
            assert.equal("inet 127.0.0.2 1443", first("a.test", 443, "inet"))
            assert.equal("inet6 ::1 2443", first("a.test", 443, "inet6"))
            assert.equal("unix /run/b.sock 0", first("b.test", 80))
            assert.equal("inet 10.0.0.1 80", first("10.0.0.1", 80))
            resolver:close()
        end)

        it("refuses mappings that cannot be meant", function()
            for message, mapping in pairs {
                ["bad mapping: expected table, got string"] = "x",
                ["bad key of mapping: expected"] = { "127.0.0.1" },
                ['bad value of mapping for "a": expected "host", got 1'] = { a = 1 },
                ['bad value of mapping for "a": expected { host, port }, got "b"'] =
                    { [{ "a", 1 }] = "b" },
            } do
                assert.matches("resolver_spec.lua:%d+: " .. message:gsub("%p", "%%%0"),
                    failure(function()
                        local resolver = netutil.OverrideResolver { mapping = mapping }
                        return resolver
                    end))
            end
        end)
    end)
end)
