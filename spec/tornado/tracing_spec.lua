-- tornado.tracing: what traceparent and tracestate say, whom they are believed of, and where they
-- go on.
local core = require "tornado.core"
local escape = require "tornado.escape"
local gen = require "tornado.gen"
local httpclient = require "tornado.httpclient"
local log = require "tornado.log"
local stack_context = require "tornado.stack_context"
local testing = require "tornado.testing"
local tracing = require "tornado.tracing"
local web = require "tornado.web"
local websocket = require "tornado.websocket"

local ID, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
local PARENT = "00-" .. ID .. "-" .. SPAN .. "-01"

describe("tornado.tracing", function()
    after_each(function() tracing.configure() end)

    describe("parse", function()
        it("takes what is sound", function()
            local trace = assert(tracing.parse(PARENT))
            assert.same({ ID, SPAN, true, 1, "" },
                { trace.trace_id, trace.parent_id, trace.sampled, trace.flags, trace.state })
            assert.matches("^%x+$", trace.span_id)
            assert.equal(16, #trace.span_id)
            assert.is_not_equal(trace.span_id, tracing.parse(PARENT).span_id)
            assert.equal("Trace(" .. ID .. ")", tostring(trace))
        end)

        it("knows two flags, and keeps no others", function()
            for given, flags in pairs { ["00"] = 0, ["01"] = 1, ["02"] = 2, ["03"] = 3,
                ff = 3, fc = 0, ["05"] = 1 } do
                local trace = tracing.parse("00-" .. ID .. "-" .. SPAN .. "-" .. given)
                assert.same({ given, flags, flags % 2 == 1 },
                    { given, trace.flags, trace.sampled })
                assert.equal(("00-%s-%s-%02x"):format(ID, trace.span_id, flags),
                    (trace:fields()))
            end
        end)

        it("takes of later versions what it knows", function()
            for _, form in ipairs { "01-%s-%s-01", "cc-%s-%s-01-what the future will be like",
                "fe-%s-%s-01-" } do
                local trace = assert(tracing.parse(form:format(ID, SPAN)), form)
                assert.equal(ID, trace.trace_id)
                assert.matches("^00%-", (trace:fields()))
            end
        end)

        it("refuses what is malformed", function()
            local zero = ("0"):rep(32)
            for _, parent in ipairs {
                "", "00", "-", PARENT .. "-", PARENT .. "-01", PARENT .. "0", " " .. PARENT,
                PARENT .. " ", PARENT:upper(), "ff" .. PARENT:sub(3), "0g" .. PARENT:sub(3),
                "00-" .. ID:upper() .. "-" .. SPAN .. "-01", "00-" .. ID .. "-" .. SPAN .. "-0A",
                "00-" .. zero .. "-" .. SPAN .. "-01", "00-" .. ID .. "-" .. zero:sub(17) .. "-01",
                "00-" .. ID:sub(2) .. "-" .. SPAN .. "-01", "00-" .. ID .. "0-" .. SPAN .. "-01",
                "00-" .. ID .. "-" .. SPAN:sub(2) .. "-01", "00-" .. ID .. "-" .. SPAN .. "-1",
                "00-" .. ID .. "-" .. SPAN .. "-", "00-" .. ID .. "-" .. SPAN, "00_" ..
                PARENT:sub(4), "01-" .. ID .. "-" .. SPAN .. "-01.future", PARENT:gsub("7", "g"),
                "00-" .. ID .. "-" .. SPAN .. "-01\0",
            } do
                assert.is_nil(tracing.parse(parent), parent)
            end
        end)

        local function state_of(text)
            return tracing.parse(PARENT, text).state
        end

        it("has tracestate, in its order", function()
            local longest = ("k"):rep(256) .. "=" .. ("v"):rep(256)
            for given, state in pairs {
                [""] = "", ["a=1"] = "a=1", ["b=2,a=1"] = "b=2,a=1", [" a=1 ,\tb=2\t"] = "a=1,b=2",
                ["a=1,,b=2, ,"] = "a=1,b=2", ["a= 1"] = "a= 1", ["fw529a3039@dt=x/y:z"] =
                "fw529a3039@dt=x/y:z", ["0a_-*/=~!"] = "0a_-*/=~!", [longest] = longest,
            } do
                assert.equal(state, state_of(given), given)
            end
            local many = {}
            for i = 1, 32 do many[i] = "k" .. i .. "=v" end
            local text = table.concat(many, ",")
            assert.equal(text, state_of(text))
        end)

        it("goes on without a tracestate that is malformed", function()
            for _, given in ipairs {
                "a", "=1", "a=", "a=1=2", "A=1", "a b=1", "a=1,a=2", "@a=1", "a=\1", "a=\255",
                "a=1,b", "a.b=1", ("k"):rep(257) .. "=v", "k=" .. ("v"):rep(257), "ä=1",
            } do
                assert.equal("", state_of(given), given)
            end
            assert.equal("", state_of(("k%d=v,"):rep(33):gsub("%%d", (function()
                local n = 0
                return function()
                    n = n + 1
                    return n
                end
            end)())))
        end)
    end)

    -- Serves a handler; returns a function that fetches from it with fields, and the server.
    local function serve(get, options, settings)
        local Main = web.RequestHandler:extend "Main"
        Main.get = get
        local server = testing.serve(web.Application({ { "/", Main } }, settings), options)
        return function(headers)
            return server:fetch("/", { headers = headers or {} })
        end, server
    end

    -- What a handler sees, as "TRACE_ID PARENT_ID STATE", or "none".
    local function shown(self)
        local trace = self.request.trace
        self:write(trace and table.concat({ trace.trace_id, tostring(trace.parent_id),
            trace.state }, " ") or "none")
    end

    describe("a request", function()
        it("has the trace of its caller", function()
            local fetch = serve(shown)
            assert.equal("none", fetch().body)
            assert.equal(ID .. " " .. SPAN .. " ", fetch({ traceparent = PARENT }).body)
            assert.equal(ID .. " " .. SPAN .. " a=1",
                fetch({ Traceparent = PARENT, Tracestate = "a=1" }).body)
            assert.equal("none", fetch({ traceparent = PARENT .. "x", tracestate = "a=1" }).body)
            assert.equal("none", fetch({ tracestate = "a=1" }).body)
        end)

        it("joins several tracestates, and takes no two parents", function()
            local _, server = serve(shown)
            local function body(lines)
                local connection = server:connect()
                connection:send("GET / HTTP/1.1\r\nHost: a\r\n" .. lines .. "\r\n")
                local response = connection:read_response()
                connection:close()
                return response.body
            end
            local parent = "traceparent: " .. PARENT .. "\r\n"
            assert.equal(ID .. " " .. SPAN .. " a=1,b=2",
                body(parent .. "tracestate: a=1\r\nTraceState: b=2\r\n"))
            assert.equal("none", body(parent .. parent))
        end)

        it("begins a trace when it is told to", function()
            tracing.configure { begin = true }
            local fetch = serve(shown)
            local first, second = fetch().body, fetch({ traceparent = "bad" }).body
            assert.matches("^" .. ("%x"):rep(32) .. " false $", first)
            assert.is_not_equal(first, second)
            assert.matches("^%x+ false $", second)
            assert.equal(ID .. " " .. SPAN .. " ", fetch({ traceparent = PARENT }).body)
            assert.same({ 3, true }, { tracing.new().flags, tracing.new().sampled })
        end)

        it("is believed as the option says", function()
            local proxied = { server = { xheaders = true } }
            local fields = { traceparent = PARENT }
            local direct, through = serve(shown), serve(shown, proxied)
            tracing.configure { accept = "none" }
            assert.same({ "none", "none" }, { direct(fields).body, through(fields).body })
            tracing.configure { accept = "proxies" }
            assert.equal("none", direct(fields).body)
            assert.equal(ID .. " " .. SPAN .. " ", through(fields).body)
            assert.equal("none", through({ traceparent = "bad" }).body)
            tracing.configure { accept = "proxies", begin = true }
            assert.matches("^%x+ false $", direct(fields).body)
            assert.matches("^%x+ false $", through().body)
        end)

        it("is not believed of a proxy that is not trusted", function()
            tracing.configure { accept = "proxies" }
            local Main = web.RequestHandler:extend "Main"
            Main.get = shown
            local known = ID .. " " .. SPAN .. " "
            for ip, body in pairs { ["10.0.0.9"] = "none", ["127.0.0.1"] = known } do
                assert.equal(body, testing.request(web.Application { { "/", Main } }, "/", {
                    headers = { traceparent = PARENT }, remote_ip = ip,
                    server = { xheaders = true },
                }).body)
            end
        end)

        it("refuses bad options", function()
            assert.has_error(function() tracing.configure { accept = "some" } end,
                'bad accept: expected all, proxies or none, got "some"')
            assert.has_error(function() tracing.configure { nope = 1 } end)
        end)
    end)

    it("follows what the handler starts", function()
        local seen = {}
        local done = gen.Event and gen.Event() or require("tornado.locks").Event()
        local fetch = serve(function(self)
            gen.sleep(0.001)
            seen[1] = stack_context.get("trace").trace_id
            gen.spawn(function()
                gen.sleep(0.01) -- longer than the request
                seen[2] = stack_context.get("trace").trace_id
                done:set()
            end)
            self:finish("x")
        end)
        fetch { traceparent = PARENT }
        done:wait()
        assert.same({ ID, ID }, seen)
        assert.is_nil(stack_context.get "trace")
    end)

    describe("a client", function()
        -- Serves an echo of fields; returns its URL.
        local function echo()
            local _, server = serve(function(self)
                local headers = self.request.headers
                self:write { parent = headers:get "traceparent", state = headers:get "tracestate",
                    id = headers:get "X-Request-Id" }
            end)
            return "http://" .. server.address .. "/"
        end

        -- What the echo got when a handler fetched it with these options.
        local function fetched(options, fields, settings)
            local url = echo()
            local span, id
            local fetch = serve(function(self)
                span, id = self.request.trace and self.request.trace.span_id, self.request.id
                self:write(httpclient.fetch(url, options).body)
            end, nil, settings)
            return escape.json_decode(fetch(fields).body), span, id
        end

        it("passes it on, with the handler's own span", function()
            for _, options in ipairs { false, { method = "GET" }, { headers = { A = "b" } } } do
                local got, span = fetched(options or nil,
                    { traceparent = PARENT, tracestate = "a=1" })
                assert.same({ parent = "00-" .. ID .. "-" .. span .. "-01", state = "a=1" }, got)
                assert.is_not_equal(SPAN, span)
            end
        end)

        it("passes nothing on without one, nor when it is told not to", function()
            assert.same({}, (fetched(nil, {})))
            assert.same({}, (fetched({ trace = false }, { traceparent = PARENT })))
            assert.same({ parent = "mine" },
                (fetched({ headers = { traceparent = "mine" } }, { traceparent = PARENT })))
        end)

        it("does not remember it for others", function()
            local url = echo()
            local fetch = serve(function(self) self:write(httpclient.fetch(url).body) end)
            local with = { traceparent = PARENT }
            local first = escape.json_decode(fetch(with).body).parent
            assert.same({}, escape.json_decode(fetch().body))
            local second = escape.json_decode(fetch(with).body).parent
            assert.equal(ID, second:sub(4, 35))
            assert.is_not_equal(first, second)
        end)

        it("passes the request's id on when it is told to", function()
            local got, _, id = fetched({ request_id = true }, {})
            assert.same({ id = id }, got)
            local mine = fetched({ request_id = true, headers = { ["X-Request-Id"] = "x" } }, {})
            assert.same({ id = "x" }, mine)
        end)

        it("tells what runs outside of requests, too", function()
            local url, trace = echo(), tracing.new()
            local got
            stack_context.run({ trace = trace, request_id = "job-1" }, function()
                got = escape.json_decode(httpclient.fetch(url, { request_id = true }).body)
            end)
            assert.same({ parent = (trace:fields()), id = "job-1" }, got)
            local ok, err = pcall(stack_context.run, { trace = "x" }, httpclient.fetch, url)
            assert.is_false(ok)
            assert.matches('bad trace: expected tracing.Trace, got "x"', tostring(err))
        end)

        it("of WebSockets does the same", function()
            local seen
            local Socket = websocket.WebSocketHandler:extend "Socket"
            function Socket:open()
                local headers = self.request.headers
                seen = { headers:get "traceparent", headers:get "X-Request-Id",
                    self.request.trace and self.request.trace.trace_id or nil }
                self:write_message "x"
            end
            local there = testing.serve(web.Application { { "/", Socket } })
            local span, options, id
            local fetch = serve(function(self)
                span, id = self.request.trace.span_id, self.request.id
                local connection = websocket.connect("ws://" .. there.address .. "/", options)
                connection:read_message()
                connection:close()
            end)
            fetch { traceparent = PARENT }
            assert.same({ "00-" .. ID .. "-" .. span .. "-01", nil, ID }, seen)
            options = { trace = false, request_id = true }
            fetch { traceparent = PARENT }
            assert.same({ nil, id, nil }, seen)
        end)
    end)

    describe("logs", function()
        local function read(path)
            local file = assert(io.open(path))
            local text = file:read "*a"
            file:close()
            return text
        end

        it("have it when they are JSON", function()
            local path, access = os.tmpname(), os.tmpname()
            local before = log.set_filter(nil)
            finally(function()
                log.set_filter(before)
                log.set_format "text"
                log.open_access("", "auto")
                web.Application.access_log = false
                core.log_open "stderr"
                os.remove(path)
                os.remove(access)
            end)
            local fetch = serve(function(self)
                log.app_log:info("inside")
                log.app_log:log(1, "explicit", self.request.id)
                log.app_log:log(1, "another", "other-id")
                self:write(self.request.id)
            end)
            assert(core.log_open(path))
            assert(log.open_access(access, "auto"))
            web.Application.access_log = true
            log.set_format "json"
            local id = fetch({ traceparent = PARENT }).body
            local text = testing.wait_until(function()
                local found = read(access)
                return found ~= "" and found
            end)
            local entry = escape.json_decode(text)
            assert.same({ id, ID }, { entry.request, entry.trace })
            local entries = {}
            for line in read(path):gmatch "[^\n]+" do
                local e = escape.json_decode(line)
                entries[#entries + 1] = { e.message, e.request, e.trace }
            end
            assert.same({ { "inside", id, ID }, { "explicit", id, ID }, { "another", "other-id" } },
                entries)
        end)
    end)
end)
