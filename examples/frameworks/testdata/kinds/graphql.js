// graphql-ws, both ends.
const { WebSocket, perMessageDeflate, watched, run } = require("./common.js");
const { GraphQLObjectType, GraphQLSchema, GraphQLString } = require("graphql");
const { createClient } = require("graphql-ws");
const { useServer } = require("graphql-ws/use/ws");

const text = (resolve) => ({ type: GraphQLString, args: { of: { type: GraphQLString } }, ...resolve });
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: "Query",
    fields: {
      echo: text({ resolve: (_, { of }) => of }),
    },
  }),
  subscription: new GraphQLObjectType({
    name: "Subscription",
    fields: {
      count: text({
        subscribe: async function* () {
          for (let i = 0; i < 20; i++) yield { count: "to be or not to be ".repeat(i * i) };
        },
      }),
    },
  }),
});

run(
  (server) => useServer({ schema }, new WebSocket.Server({ server, perMessageDeflate })),
  async (url) => {
    const client = createClient({ url, lazy: false, webSocketImpl: watched((data) => JSON.parse(data).type), keepAlive: 20 });
    const all = async (query) => {
      for await (const _ of client.iterate({ query })) continue;
    };
    await all("subscription { count }");
    await all(`{ echo(of: "${"x".repeat(3000)}") }`);
    await all("{ nonsense }").catch(() => {});
    await new Promise((resolve) => client.on("pong", resolve));
    await client.dispose();
  },
);
