// SCIMMY serves users from memory. The store is all that is written here: SCIMMY reads paths, filters and bodies, and makes the answers.
//
// Usage: scimmy.js PORT TOKEN

import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [port, token] = process.argv.slice(2);
const users = new Map();

const stamped = (user, created) => {
    const now = new Date();
    user.meta = { resourceType: "User", created: created ?? now, lastModified: now };
    return user;
};

const find = (id) => {
    const user = users.get(id);
    if (!user) throw new SCIMMY.Types.Error(404, null, `Resource ${id} not found`);
    return user;
};

SCIMMY.Resources.declare(SCIMMY.Resources.User.extend(SCIMMY.Schemas.EnterpriseUser, false))
    .ingress((resource, given) => {
        const before = resource.id ? find(resource.id) : undefined;
        const name = given.userName.toLowerCase();
        for (const other of users.values()) {
            if (other !== before && other.userName.toLowerCase() === name) {
                throw new SCIMMY.Types.Error(409, "uniqueness", `userName ${given.userName} is taken`);
            }
        }
        // A plain copy: what SCIMMY gives is bound to its schema.
        const user = JSON.parse(JSON.stringify(given));
        user.id = before?.id ?? randomUUID();
        users.set(user.id, stamped(user, before?.meta.created));
        return user;
    })
    .egress((resource) => {
        if (resource.id) return find(resource.id);
        const all = [...users.values()];
        return resource.filter ? resource.filter.match(all) : all;
    })
    .degress((resource) => {
        find(resource.id);
        users.delete(resource.id);
    });

const app = express();
app.use("/scim/v2", new SCIMMYRouters({
    type: "bearer",
    handler: (request) => {
        if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("The token is missing or wrong");
        return "bobsync";
    },
    baseUri: (request) => `http://${request.header("Host")}`,
}));
const server = app.listen(Number(port), "127.0.0.1", (error) => {
    if (error) throw error;
    console.log(`Serving SCIM on http://127.0.0.1:${server.address().port}/scim/v2`);
});
process.on("SIGTERM", () => process.exit(0));
