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

    it("is the caller's when the application trusts callers", function()
        local ids = logged({ trust_request_id = true },
            { "a-B_c.9", ("x"):rep(64), ("x"):rep(65), "a b", "", '"', false })
        assert.same({ "a-B_c.9", ("x"):rep(64) }, { ids[1], ids[2] })
        for i = 3, 7 do assert.matches("^%x+$", ids[i]) end
    end)
end)
