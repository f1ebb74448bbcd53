-- request.id: who gives it, and that what is logged about a request carries it.
local log = require "tornado.log"
local testing = require "tornado.testing"
local web = require "tornado.web"

describe("a request's id", function()
    -- Serves handlers that fail; returns what the log says with which id, request by request.
    local function logged(settings, fields)
        local ids = {}
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get()
            assert(self.request.id == self.request.id)
            error(web.HTTPError(400, "on purpose"), 0)
        end
        function Handler:write_error() self:finish(self.request.id) end
        local server = testing.serve(web.Application({ { "/", Handler } }, settings))
        local before = log.set_filter(function(_, _, _, id)
            ids[#ids + 1] = id
            return true
        end)
        finally(function() log.set_filter(before) end)
        for i, field in ipairs(fields) do
            local response = server:fetch("/", { headers = field and
                { ["X-Request-Id"] = field } or {} })
            assert.equal(response.body, ids[i])
        end
        return ids
    end

    it("is random, and stands in the log", function()
        local ids = logged({}, { false, false, "mine" })
        for _, id in ipairs(ids) do assert.matches("^%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x$", id) end
        assert.is_not_equal(ids[1], ids[2])
    end)

    it("is that of a proxy that is believed", function()
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get() self:write(self.request.id) end
        local function id_from(ip, given, xheaders)
            return testing.request(web.Application { { "/", Handler } }, "/", {
                remote_ip = ip, headers = { ["X-Request-Id"] = given, ["X-Real-Ip"] = "9.9.9.9" },
                server = { xheaders = xheaders, trusted_downstream = { "10.0.0.7" } },
            }).body
        end
        assert.equal("abc-1", id_from("127.0.0.1", "abc-1", true))
        assert.equal("abc-1", id_from("10.0.0.7", "abc-1", true))
        for _, id in ipairs { id_from("10.0.0.8", "abc-1", true), id_from("127.0.0.1", "a b", true),
            id_from("127.0.0.1", "abc-1", false), id_from("127.0.0.1", ("x"):rep(65), true) } do
            assert.matches("^" .. ("%x"):rep(16) .. "$", id)
        end
    end)

    it("is in the reply when the application wants it", function()
        local Handler = web.RequestHandler:extend "Handler"
        function Handler:get(how)
            if how == "fail" then error(web.HTTPError(418), 0) end
            self:write(self.request.id)
        end
        local function serve(header, security)
            return testing.serve(web.Application({ { "/(.*)", Handler } },
                { request_id_header = header, security_headers = security }))
        end
        for name, setting in pairs { ["X-Request-Id"] = true, ["Request-No"] = "Request-No" } do
            local server = serve(setting)
            local response = server:fetch "/"
            assert.equal(response.body, response.headers:get(name))
            assert.is_nil(response.headers:get "X-Frame-Options")
            assert.matches("^%x+$", server:fetch("/fail").headers:get(name))
        end
        local both = serve(true, true):fetch "/"
        assert.equal(both.body, both.headers:get "X-Request-Id")
        assert.equal("nosniff", both.headers:get "X-Content-Type-Options")
        assert.is_nil(serve(false):fetch("/").headers:get "X-Request-Id")
        for _, bad in ipairs { "a b", 5, "", {} } do
            assert.has_error(function() web.Application({}, { request_id_header = bad }) end)
        end
    end)

    it("is the caller's when the application trusts callers", function()
        local ids = logged({ trust_request_id = true },
            { "a-B_c.9", ("x"):rep(64), ("x"):rep(65), "a b", "", '"', false })
        assert.same({ "a-B_c.9", ("x"):rep(64) }, { ids[1], ids[2] })
        for i = 3, 7 do assert.matches("^%x+$", ids[i]) end
    end)
end)
